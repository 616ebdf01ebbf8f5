import type { BulkAction, BulkOutcome } from "../../src/http/dashboard/api-request-types.ts";
import type { ApiFailure, Session } from "../../src/http/dashboard/api-types.ts";
import { session } from "./session.ts";

/** What the API refused, or could not do. */
export class RequestFailed extends Error {
  readonly status: number;
  readonly hint: string | null;

  constructor(status: number, { error, hint }: ApiFailure) {
    super(error);
    this.status = status;
    this.hint = hint ?? null;
  }
}

export async function fetchJson<T>(path: string, options: RequestInit = {}): Promise<T> {
  const response = await fetch(path, options).catch(() => {
    throw new RequestFailed(0, {
      error: "The orchestrator does not answer.",
      hint: "Is llmq start running? This page tries again by itself.",
    });
  });
  const body: unknown = await response
    .json()
    .catch(() => ({ error: `the server answered ${response.status}` }));
  if (response.ok) return body as T;
  if (response.status === 401 && path !== "/api/session") void refreshSession();
  throw new RequestFailed(response.status, body as ApiFailure);
}

function post<T>(path: string, body: object = {}): Promise<T> {
  return fetchJson<T>(path, {
    method: "POST",
    headers: { "content-type": "application/json", "x-llmq-action": "1" },
    body: JSON.stringify(body),
  });
}

export async function refreshSession(): Promise<void> {
  session.value = await fetchJson<Session>("/api/session");
}

export async function logIn(token: string): Promise<void> {
  await post("/api/session", { token });
  await refreshSession();
}

export async function logOut(): Promise<void> {
  await fetchJson("/api/session", { method: "DELETE" });
  await refreshSession();
}

type Changed = { changed: boolean };

export const actions = {
  cancel: (id: string) => post<Changed>(`/api/requests/${id}/cancel`),
  retry: (id: string) => post<Changed>(`/api/requests/${id}/retry`),
  all: (kind: "retry" | "cancel", action: BulkAction) => post<BulkOutcome>(`/api/requests/${kind}`, action),
  pause: (kind: "models" | "agents", name: string, paused: boolean) =>
    post<Changed>(`/api/${kind}/pause`, { name, paused }),
};
