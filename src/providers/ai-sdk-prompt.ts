/** Our messages and tools (OpenAI's chat format) in the words of the AI SDK's language model interface, v4. */
import type {
  LanguageModelV4FilePart,
  LanguageModelV4FunctionTool,
  LanguageModelV4Message,
  LanguageModelV4Prompt,
  LanguageModelV4TextPart,
} from "@ai-sdk/provider";
import { withExactIntegers } from "../exact-integers.ts";
import { parseJson } from "./error-body.ts";
import type { ChatMessage, ChatPart, ChatTool } from "./provider.ts";

type InputPart = LanguageModelV4TextPart | LanguageModelV4FilePart;

export type PromptOptions = {
  /** The name under which the provider looks up uploaded files (`file_id`). */
  fileReferenceKey: string;
  /** `false`: a system message after the first other message is sent as the user's, since Gemini refuses it. */
  allowsLateSystem: boolean;
};

/** Throws what the data itself makes impossible (an image URL that is no URL); the caller reports bad_request. */
export function toPrompt(messages: ChatMessage[], options: PromptOptions): LanguageModelV4Prompt {
  const toolNames = new Map<string, string>();
  let onlySystemSoFar = true;
  return messages.map((message) => {
    for (const call of message.tool_calls ?? []) toolNames.set(call.id, call.function.name);
    const isSystem = message.role === "system" || message.role === "developer";
    if (!isSystem) onlySystemSoFar = false;
    const isLateSystem = isSystem && !onlySystemSoFar && !options.allowsLateSystem;
    const converted = toMessage(isLateSystem ? { ...message, role: "user" } : message, toolNames, options);
    return message.name === undefined
      ? converted
      : { ...converted, providerOptions: { openai: { name: message.name } } };
  });
}

/** A tool without parameters gets the empty object schema, which every provider takes. */
export function toTools(tools: ChatTool[]): LanguageModelV4FunctionTool[] {
  return tools.map(({ function: tool }) => ({
    type: "function",
    name: tool.name,
    inputSchema: tool.parameters ?? { type: "object", properties: {} },
    ...(tool.description !== undefined && { description: tool.description }),
    ...(tool.strict !== undefined && { strict: tool.strict }),
  }));
}

/** The text of a message's content, whatever form it has. */
export function textOfContent(content: ChatMessage["content"]): string {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => (part.type === "text" ? part.text : "")).join("");
}

function toMessage(
  message: ChatMessage,
  toolNames: ReadonlyMap<string, string>,
  options: PromptOptions,
): LanguageModelV4Message {
  switch (message.role) {
    case "system":
    case "developer":
      return { role: "system", content: textOfContent(message.content) };
    case "user":
      return { role: "user", content: toParts(message.content, options) };
    case "assistant":
      return { role: "assistant", content: toAssistantContent(message) };
    case "tool": {
      const toolCallId = message.tool_call_id ?? "";
      // Gemini wants the tool's name with its result; OpenAI's format gives it only with the call.
      const toolName = toolNames.get(toolCallId) ?? message.name ?? "unknown";
      const output = { type: "text" as const, value: textOfContent(message.content) };
      return { role: "tool", content: [{ type: "tool-result", toolCallId, toolName, output }] };
    }
  }
}

function toAssistantContent(message: ChatMessage) {
  const text = textOfContent(message.content);
  const calls = (message.tool_calls ?? []).map((call) => ({
    type: "tool-call" as const,
    toolCallId: call.id,
    toolName: call.function.name,
    input: withExactIntegers(parseJson(call.function.arguments) ?? {}, call.function.arguments),
  }));
  return text === "" && calls.length > 0 ? calls : [{ type: "text" as const, text }, ...calls];
}

function toParts(content: ChatMessage["content"], options: PromptOptions): InputPart[] {
  if (typeof content === "string") return [{ type: "text", text: content }];
  return (content ?? []).map((part) => toPart(part, options));
}

function toPart(part: ChatPart, options: PromptOptions): InputPart {
  switch (part.type) {
    case "text":
      return { type: "text", text: part.text };
    case "image_url": {
      const { url, detail } = part.image_url;
      const image = toFile(url, "image/*");
      return detail === undefined
        ? image
        : { ...image, providerOptions: { openai: { imageDetail: detail } } };
    }
    case "input_audio": {
      const { data, format } = part.input_audio;
      return {
        type: "file",
        mediaType: `audio/${format === "mp3" ? "mpeg" : format}`,
        data: { type: "data", data },
      };
    }
    case "file": {
      const { file_data, file_id, filename } = part.file;
      const named = filename === undefined ? {} : { filename };
      if (file_data !== undefined) return { ...toFile(file_data, mediaTypeOf(filename)), ...named };
      const reference = { [options.fileReferenceKey]: file_id ?? "" };
      return {
        type: "file",
        mediaType: mediaTypeOf(filename),
        data: { type: "reference", reference },
        ...named,
      };
    }
  }
}

/** `source` is a `data:` URL, an http(s) URL, or bare base64. */
function toFile(source: string, mediaType: string): LanguageModelV4FilePart {
  const dataUrl = /^data:([^;,]*)((?:;[^;,]*)*),/.exec(source);
  if (dataUrl !== null) {
    const payload = source.slice(dataUrl[0].length);
    const isBase64 = /;base64$/i.test(dataUrl[2] ?? "");
    const data = isBase64 ? payload : Buffer.from(decodeURIComponent(payload)).toString("base64");
    return { type: "file", mediaType: dataUrl[1] || mediaType, data: { type: "data", data } };
  }
  if (mediaType === "image/*" || /^https?:\/\//i.test(source)) {
    const url = new URL(source);
    // Gemini wants an exact type with a URL; the others look for themselves.
    const guessed = mediaType === "image/*" ? mediaTypeOf(url.pathname, "image/jpeg") : mediaType;
    return { type: "file", mediaType: guessed, data: { type: "url", url } };
  }
  return { type: "file", mediaType, data: { type: "data", data: source } };
}

function mediaTypeOf(filename: string | undefined, otherwise = "application/pdf"): string {
  const types: Record<string, string> = {
    png: "image/png",
    jpg: "image/jpeg",
    jpeg: "image/jpeg",
    gif: "image/gif",
    webp: "image/webp",
    txt: "text/plain",
    md: "text/plain",
    csv: "text/csv",
    wav: "audio/wav",
    mp3: "audio/mpeg",
  };
  return types[filename?.split(".").at(-1)?.toLowerCase() ?? ""] ?? otherwise;
}
