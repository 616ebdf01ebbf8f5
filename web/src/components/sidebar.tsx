import { logOut } from "../api.ts";
import { count } from "../format.ts";
import { type Connection, connection, isPaused, overview, setPaused } from "../live.ts";
import { path } from "../router.ts";
import { session } from "../session.ts";

const PAGES = [
  { href: "/", name: "Overview" },
  { href: "/requests", name: "Requests" },
  { href: "/models", name: "Models" },
  { href: "/agents", name: "Agents" },
  { href: "/queues", name: "Queues" },
];

const CONNECTIONS: Record<Connection, string> = {
  connecting: "Connecting",
  live: "Live",
  paused: "Paused",
  lost: "Reconnecting",
};

export function Sidebar() {
  const isCurrent = (href: string) => (href === "/" ? path.value === "/" : path.value.startsWith(href));
  return (
    <header class="sidebar">
      <a class="brand" href="/" aria-label="llmq, overview">
        <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
          <rect width="32" height="32" rx="8" class="brand-mark" />
          <rect x="7" y="8" width="18" height="4" rx="2" fill="#fff" />
          <rect x="7" y="14" width="13" height="4" rx="2" fill="#fff" opacity=".8" />
          <rect x="7" y="20" width="8" height="4" rx="2" fill="#fff" opacity=".6" />
        </svg>
        <span>llmq</span>
      </a>
      <nav aria-label="Pages">
        {PAGES.map(({ href, name }) => (
          <a key={href} href={href} aria-current={isCurrent(href) ? "page" : undefined}>
            {name}
            {name === "Requests" && <OpenCount />}
          </a>
        ))}
      </nav>
      <div class="sidebar-foot">
        <button
          type="button"
          class={`live live-${connection.value}`}
          aria-pressed={isPaused.value}
          title={isPaused.value ? "Show changes as they happen" : "Stop the page from changing"}
          onClick={() => setPaused(!isPaused.value)}
        >
          <span class="dot" aria-hidden="true" />
          {CONNECTIONS[connection.value]}
        </button>
        <LogOut />
      </div>
    </header>
  );
}

function OpenCount() {
  const depth = overview.value?.depth;
  if (depth === undefined) return null;
  const open = depth.pending + depth.processing;
  return open === 0 ? null : (
    <span class="pill" title="waiting and running">
      {count(open)}
    </span>
  );
}

function LogOut() {
  const { version, usesToken } = session.value ?? {};
  return (
    <span class="sidebar-version">
      {version ? `v${version}` : ""}
      {usesToken === true && (
        <button type="button" class="quiet" onClick={() => void logOut()}>
          Log out
        </button>
      )}
    </span>
  );
}
