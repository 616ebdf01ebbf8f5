import { useState } from "preact/hooks";
import { announce } from "../announce.ts";
import { actions } from "../api.ts";

export function PauseButton({
  kind,
  name,
  paused,
  onChanged,
}: {
  kind: "models" | "agents";
  name: string;
  paused: boolean;
  onChanged: () => void;
}) {
  const [isBusy, setBusy] = useState(false);
  const toggle = () => {
    setBusy(true);
    actions
      .pause(kind, name, !paused)
      .then(
        () => {
          announce(paused ? `${name} goes on.` : `${name} is paused: no more of its requests begin.`);
          onChanged();
        },
        (error: Error) => announce(error.message, "problem"),
      )
      .finally(() => setBusy(false));
  };
  return (
    <button
      type="button"
      class="small"
      disabled={isBusy}
      aria-label={`${paused ? "Resume" : "Pause"} ${name}`}
      onClick={toggle}
    >
      {paused ? "Resume" : "Pause"}
    </button>
  );
}
