/** A thread of `answer-checker.ts`: one task at a time, each answered by one message. */
import { parentPort } from "node:worker_threads";
import { type AnswerToCheck, checkAnswer, type Schemas, schemaFault } from "./check-answer.ts";
import { createSchemaValidator } from "./schema-validator.ts";

export type CheckTask =
  | { kind: "answer"; answer: Omit<AnswerToCheck, "validator"> }
  | { kind: "schemas"; schemas: Schemas };

const validator = createSchemaValidator();

function run(task: CheckTask) {
  if (task.kind === "schemas") return { fault: schemaFault(task.schemas, validator) };
  return checkAnswer({ ...task.answer, validator });
}

parentPort?.on("message", (task: CheckTask) => parentPort?.postMessage(run(task)));
parentPort?.postMessage("ready");
