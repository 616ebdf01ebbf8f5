import { useEffect } from "preact/hooks";
import { refreshSession } from "./api.ts";
import { Closed, LogIn } from "./components/log-in.tsx";
import { Notices, TroubleBanner } from "./components/notices.tsx";
import { Sidebar } from "./components/sidebar.tsx";
import { connect, disconnect } from "./live.ts";
import { AgentsPage } from "./pages/agents.tsx";
import { ModelsPage } from "./pages/models.tsx";
import { OverviewPage } from "./pages/overview.tsx";
import { QueuesPage } from "./pages/queues.tsx";
import { RequestPage } from "./pages/request.tsx";
import { RequestsPage } from "./pages/requests.tsx";
import { followLink, path } from "./router.ts";
import { session } from "./session.ts";

const RETRY_MS = 3_000;

export function App() {
  const access = session.value?.access ?? null;

  useEffect(() => {
    if (access !== null) return;
    const ask = () => refreshSession().catch(() => undefined);
    ask();
    const timer = setInterval(ask, RETRY_MS);
    return () => clearInterval(timer);
  }, [access]);

  useEffect(() => {
    if (access !== "open") return;
    connect();
    return disconnect;
  }, [access]);

  if (access === null) return <p class="splash">Connecting to the orchestrator …</p>;
  if (access === "login") return <LogIn />;
  if (access === "closed") return <Closed />;
  return (
    // The links inside are what is clicked; this only keeps them from loading the page anew.
    <div class="app" onClick={followLink}>
      <a class="skip-link" href="#main">
        Skip to content
      </a>
      <Sidebar />
      <main id="main" tabIndex={-1}>
        <TroubleBanner />
        <Page />
      </main>
      <Notices />
    </div>
  );
}

function Page() {
  const [, first = "", second] = path.value.split("/");
  if (first === "requests" && second !== undefined)
    return <RequestPage key={second} id={decodeURIComponent(second)} />;
  if (first === "requests") return <RequestsPage />;
  if (first === "models") return <ModelsPage />;
  if (first === "agents") return <AgentsPage />;
  if (first === "queues") return <QueuesPage />;
  return <OverviewPage />;
}
