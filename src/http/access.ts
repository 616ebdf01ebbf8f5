/**
 * Who may see what needs the token: the bearer of it, and a browser that logged in with it. The browser keeps a
 * cookie that says until when, signed with the token: any orchestrator with the same token knows it, none has to
 * remember it, and it ends with the token.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";

const COOKIE = "llmq_session";
const SESSION_SECONDS = 12 * 3_600;

export type Access = {
  /** Whether there is a token at all. */
  usesToken: boolean;
  /** True without a token. */
  isAllowed(request: IncomingMessage): boolean;
  /** The `set-cookie` of a session; null when the token is wrong. */
  logIn(request: IncomingMessage, token: string): string | null;
  /** The `set-cookie` that ends it. */
  logOut(request: IncomingMessage): string;
};

export function createAccess(token: string | null, now: () => number = Date.now): Access {
  const sign = (expires: string) =>
    createHmac("sha256", token ?? "")
      .update(`llmq session until ${expires}`)
      .digest("base64url");

  function hasSession(request: IncomingMessage): boolean {
    const [expires, signature] = (cookieOf(request) ?? "").split(".");
    if (expires === undefined || signature === undefined || !/^\d{1,12}$/.test(expires)) return false;
    return isSame(signature, sign(expires)) && Number(expires) * 1000 > now();
  }

  return {
    usesToken: token !== null,
    isAllowed(request) {
      if (token === null) return true;
      const bearer = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? "")?.[1] ?? "";
      return isSame(bearer, token) || hasSession(request);
    },
    logIn(request, given) {
      if (token === null || !isSame(given, token)) return null;
      const expires = String(Math.floor(now() / 1000) + SESSION_SECONDS);
      return setCookie(request, `${expires}.${sign(expires)}`, SESSION_SECONDS);
    },
    logOut: (request) => setCookie(request, "", 0),
  };
}

/** Digests are compared, so that neither content nor length of the secret shows in the time it takes. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

function cookieOf(request: IncomingMessage): string | undefined {
  const cookies = (request.headers.cookie ?? "").split(/; */);
  return cookies.find((cookie) => cookie.startsWith(`${COOKIE}=`))?.slice(COOKIE.length + 1);
}

function setCookie(request: IncomingMessage, value: string, seconds: number): string {
  // Only a proxy that ends TLS in front of us says so.
  const secure = request.headers["x-forwarded-proto"] === "https" ? "; Secure" : "";
  return `${COOKIE}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure}`;
}

/** 127.0.0.0/8, ::1 and `localhost`. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}
