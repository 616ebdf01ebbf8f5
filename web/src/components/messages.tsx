import { count } from "../format.ts";
import { JsonView } from "./json-view.tsx";

type Call = { id: string; name: string; params: unknown };
type Message = { role: string; content: unknown; toolCalls: Call[]; toolCallId: string | null };

/** A conversation in OpenAI's chat format. Nothing in it is loaded: pictures are named, not shown. */
export function Messages({ messages }: { messages: unknown }) {
  const list = Array.isArray(messages) ? messages : [];
  return (
    <ol class="messages">
      {list.map((one, index) => {
        const { role, content, toolCalls, toolCallId } = toMessage(one);
        return (
          // Messages never change.
          <li key={index} class={`message message-${role}`}>
            <span class="role">{role}</span>
            <div class="message-body">
              <MessageContent content={content} />
              {toolCalls.map((call) => (
                <ToolCall key={call.id} call={call} />
              ))}
              {toolCallId !== null && <p class="muted mono">for {toolCallId}</p>}
            </div>
          </li>
        );
      })}
    </ol>
  );
}

function MessageContent({ content }: { content: unknown }) {
  if (content === null || content === undefined) return null;
  if (typeof content === "string") {
    const value = /^\s*[{[]/.test(content) ? parsed(content) : content;
    return typeof value === "string" ? <Text text={value} /> : <JsonView value={value} />;
  }
  if (!Array.isArray(content)) return <JsonView value={content} />;
  return (
    <>
      {content.map((part: unknown, index) => {
        const text = textOf(part);
        // Parts never change.
        return text === null ? (
          <JsonView key={index} value={shorten(part)} />
        ) : (
          <Text key={index} text={text} />
        );
      })}
    </>
  );
}

function Text({ text }: { text: string }) {
  return <p class="message-text">{text}</p>;
}

function toMessage(one: unknown): Message {
  const message = typeof one === "object" && one !== null ? (one as Record<string, unknown>) : {};
  return {
    role: String(message.role ?? "?"),
    content: message.content,
    toolCalls: Array.isArray(message.tool_calls) ? message.tool_calls.map(toCall) : [],
    toolCallId: typeof message.tool_call_id === "string" ? message.tool_call_id : null,
  };
}

/** `{"id", "function": {"name", "arguments"}}`, the arguments being JSON in a string. */
function toCall(one: { id?: unknown; function?: { name?: unknown; arguments?: unknown } }): Call {
  const { name, arguments: given } = one.function ?? {};
  return {
    id: String(one.id),
    name: String(name),
    params: typeof given === "string" ? parsed(given) : given,
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function ToolCall({ call: { id, name, params } }: { call: Call }) {
  return (
    <div class="tool-call">
      <p>
        calls <b>{name}</b> <span class="muted mono">{id}</span>
      </p>
      <JsonView value={params} />
    </div>
  );
}

function textOf(part: unknown): string | null {
  const text = typeof part === "object" && part !== null && "text" in part ? part.text : null;
  return typeof text === "string" ? text : null;
}

/** A file inside a message is megabytes of base64 that nobody reads. */
function shorten(value: unknown): unknown {
  if (typeof value === "string")
    return value.length > 300 ? `${value.slice(0, 80)}… (${count(value.length)} characters)` : value;
  if (Array.isArray(value)) return value.map(shorten);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, shorten(child)]));
}
