import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { fetchJson, RequestFailed } from "./api.ts";
import { version } from "./live.ts";

export type Resource<T> = {
  data: T | null;
  error: RequestFailed | null;
  /** The first answer for this path is on its way. */
  isLoading: boolean;
  reload: () => void;
};

/** What a path of the API answers, kept current while `isLive`. What is shown stays until the next answer. */
export function useResource<T>(path: string, { isLive = true } = {}): Resource<T> {
  const [state, setState] = useState<{ path: string; data: T | null; error: RequestFailed | null } | null>(
    null,
  );
  const latest = useRef(0);
  const seen = isLive ? version.value : "";

  const reload = useCallback(() => {
    const turn = ++latest.current;
    fetchJson<T>(path).then(
      (data) => turn === latest.current && setState({ path, data, error: null }),
      (error: unknown) =>
        turn === latest.current &&
        setState((before) => ({
          path,
          data: before?.path === path ? before.data : null,
          error: error instanceof RequestFailed ? error : new RequestFailed(0, { error: String(error) }),
        })),
    );
  }, [path]);

  // `seen` is a reason to look again.
  useEffect(reload, [reload, seen]);

  const isCurrent = state?.path === path;
  return { data: state?.data ?? null, error: isCurrent ? state.error : null, isLoading: !isCurrent, reload };
}
