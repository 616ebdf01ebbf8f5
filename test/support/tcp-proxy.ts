import { connect, createServer, type Server, type Socket } from "node:net";

/** Stands between a client and a server, and can do what a bad network does. */
export type TcpProxy = {
  port: number;
  /** The URL with this proxy's address in place of the server's. */
  url(url: string): string;
  /** Connections so far. */
  readonly accepted: number;
  /** Connections open now. */
  readonly open: number;
  /** Nothing is forwarded any more and nothing is closed, also on connections to come: a half-open network. */
  freeze(): void;
  /** Connections to come work; those frozen stay so. */
  thaw(): void;
  /** Sends one SQL statement to the server in the name of each idle client, who does not see the answer. */
  inject(sql: string): Promise<void>;
  close(): Promise<void>;
};

/** A proxy before the server of this URL, on a port of 127.0.0.1; without one it accepts and never answers. */
export async function startTcpProxy(target?: string): Promise<TcpProxy> {
  const to = target === undefined ? undefined : new URL(target);
  const clients = new Set<Socket>();
  const servers = new Map<Socket, Socket>();
  let accepted = 0;
  let frozen = to === undefined;
  const server: Server = createServer((client) => {
    accepted += 1;
    clients.add(client);
    client.on("error", () => undefined);
    client.once("close", () => {
      clients.delete(client);
      servers.get(client)?.destroy();
      servers.delete(client);
    });
    if (frozen || to === undefined) {
      client.resume();
      return;
    }
    const upstream = connect(Number(to.port), to.hostname);
    servers.set(client, upstream);
    upstream.on("error", () => client.destroy());
    upstream.once("close", () => {
      if (servers.get(client) === upstream) client.destroy();
    });
    client.pipe(upstream);
    upstream.pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    port,
    url: (url) => {
      const changed = new URL(url);
      changed.hostname = "127.0.0.1";
      changed.port = String(port);
      return changed.href;
    },
    get accepted() {
      return accepted;
    },
    get open() {
      return clients.size;
    },
    freeze() {
      frozen = true;
      for (const [client, upstream] of servers) {
        client.unpipe(upstream);
        upstream.unpipe(client);
        client.resume();
        upstream.resume();
        // The client must not learn that its server is gone.
        servers.delete(client);
        upstream.destroy();
      }
    },
    thaw() {
      frozen = false;
    },
    inject: async (sql) => {
      await Promise.all([...servers].map(([client, upstream]) => injectQuery(client, upstream, sql)));
    },
    close: async () => {
      for (const client of clients) client.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The simple query message of PostgreSQL's protocol; the answer ends with ReadyForQuery (Z, 5, I). */
function injectQuery(client: Socket, upstream: Socket, sql: string): Promise<void> {
  // What the client asks meanwhile waits, or its answer would be taken for this one's.
  client.unpipe(upstream);
  upstream.unpipe(client);
  const text = Buffer.from(`${sql}\0`);
  const header = Buffer.alloc(5);
  header.write("Q");
  header.writeInt32BE(text.length + 4, 1);
  return new Promise((resolve) => {
    let answer = Buffer.alloc(0);
    const onData = (chunk: Buffer) => {
      answer = Buffer.concat([answer, chunk]);
      if (!answer.subarray(-6).equals(Buffer.from("Z\0\0\0\u0005I", "latin1"))) return;
      upstream.off("data", onData);
      upstream.pipe(client);
      client.pipe(upstream);
      resolve();
    };
    upstream.on("data", onData);
    upstream.once("close", () => resolve());
    upstream.resume();
    upstream.write(Buffer.concat([header, text]));
  });
}
