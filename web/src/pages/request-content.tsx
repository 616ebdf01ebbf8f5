/** What was asked and what was answered. */
import type { ComponentChildren } from "preact";
import type {
  Content,
  RequestDetail,
  ValidationProblem,
} from "../../../src/http/dashboard/api-request-types.ts";
import { Empty, Panel } from "../components/bits.tsx";
import { BrokenText, JsonView } from "../components/json-view.tsx";
import { Messages } from "../components/messages.tsx";
import { words } from "../format.ts";

export function Answer({ request }: { request: RequestDetail }) {
  const { content, problems } = request;
  const hasAnswer = content !== null && (content.response !== null || content.parsedResponse !== null);
  return (
    <>
      {problems.length > 0 && <Problems problems={problems} hasAnswer={hasAnswer} />}
      {content === null ? (
        <Panel title="Answer">
          <Hidden />
        </Panel>
      ) : (
        hasAnswer && <AnswerPanel content={content} problems={problems} />
      )}
    </>
  );
}

function Hidden() {
  return (
    <Empty title="Prompts and answers are hidden">
      <p>This dashboard runs with LLMQ_DASHBOARD_PROMPTS=hide.</p>
    </Empty>
  );
}

function Problems({ problems, hasAnswer }: { problems: ValidationProblem[]; hasAnswer: boolean }) {
  return (
    <Panel title="Validation errors" note="of the last answer">
      <ul class="problems">
        {problems.map(({ type, field, message, position }, index) => {
          const place = field === null ? `position ${position}` : field === "$" ? "the whole answer" : field;
          return (
            <li key={`${field} ${message}`}>
              {hasAnswer ? (
                <a class="mono" href={`#problem-${index}`}>
                  {place}
                </a>
              ) : (
                <span class="mono">{place}</span>
              )}{" "}
              {message} <span class="muted">{words(type)}</span>
            </li>
          );
        })}
      </ul>
    </Panel>
  );
}

function AnswerPanel({ content, problems }: { content: Content; problems: ValidationProblem[] }) {
  const { response, parsedResponse, refusedJson } = content;
  const broken = problems.find(({ type }) => type === "json_decode_error");
  const value = parsedResponse ?? refusedJson;
  if (broken !== undefined && response !== null) {
    return (
      <Panel title="Answer" note="as it came: it is not JSON">
        <BrokenText text={response} problem={broken} />
      </Panel>
    );
  }
  if (value === undefined || value === null) {
    return (
      <Panel title="Answer">
        <p class="message-text answer-text">{response}</p>
      </Panel>
    );
  }
  return (
    <Panel
      title={problems.length > 0 ? "Answer, refused" : "Answer"}
      note={problems.length > 0 ? "marked where it breaks its schema" : "parsed"}
    >
      <JsonView value={value} problems={problems} />
      {response !== null && response !== "" && (
        <Folded title="As it came">
          <pre class="code wrap">{response}</pre>
        </Folded>
      )}
    </Panel>
  );
}

/** The prompt and its options. */
export function Said({ request: { content } }: { request: RequestDetail }) {
  if (content === null) return null;
  const folded: [string, unknown][] = [
    ["Response schema", content.responseSchema],
    ["Tools", content.tools],
    ["Tool results", content.toolResults],
    ["Settings", content.settings],
    ["Context", content.context],
  ];
  return (
    <Panel title="Messages">
      <Messages messages={content.messages} />
      {folded
        .filter(([, value]) => !isEmpty(value))
        .map(([title, value]) => (
          <Folded key={title} title={title}>
            <JsonView value={value} />
          </Folded>
        ))}
    </Panel>
  );
}

function Folded({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <details>
      <summary>{title}</summary>
      {children}
    </details>
  );
}

function isEmpty(value: unknown): boolean {
  return value === null || (typeof value === "object" && Object.keys(value).length === 0);
}
