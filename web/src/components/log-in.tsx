import { useState } from "preact/hooks";
import { logIn, RequestFailed, refreshSession } from "../api.ts";

export function LogIn() {
  const [token, setToken] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const submit = (event: Event) => {
    event.preventDefault();
    logIn(token).catch((error: unknown) => {
      setProblem(
        error instanceof RequestFailed
          ? [error.message, error.hint].filter(Boolean).join(". ")
          : String(error),
      );
    });
  };
  return (
    <main class="gate">
      <form onSubmit={submit}>
        <h1>llmq</h1>
        <label for="token">Token</label>
        <input
          id="token"
          type="password"
          autocomplete="current-password"
          required
          value={token}
          aria-describedby="token-help"
          aria-invalid={problem !== null}
          onInput={(event) => setToken(event.currentTarget.value)}
        />
        <p id="token-help" class="muted">
          The value of LLMQ_HTTP_TOKEN. This browser stays logged in for 12 hours.
        </p>
        <p class="problem" role="alert">
          {problem}
        </p>
        <button type="submit" class="primary">
          Log in
        </button>
      </form>
    </main>
  );
}

export function Closed() {
  return (
    <main class="gate">
      <div>
        <h1>The dashboard is closed here</h1>
        <p>
          This address can be reached from other machines, and no token is set. Start the orchestrator with{" "}
          <code>LLMQ_HTTP_TOKEN</code>, or on a loopback address.
        </p>
        <button type="button" onClick={() => void refreshSession()}>
          Look again
        </button>
      </div>
    </main>
  );
}
