/** compose.yaml, the systemd unit and the Kubernetes manifests: their formats, and that they say what the program says. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { Ajv } from "ajv";
import addFormats from "ajv-formats";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { root } from "../../scripts/sql-sources.ts";
import { configVariable, configVariables } from "../../src/config-variables.ts";

const run = promisify(execFile);
const read = (path: string) => readFile(`${root}${path}`, "utf8");
/** Those that the README names. */
const COMMANDS = ["migrate", "start"];
const httpPort = configVariable("LLMQ_HTTP_PORT").default;
const graceSeconds = Number(configVariable("LLMQ_SHUTDOWN_GRACE_MS").default) / 1_000;

type Manifest = {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
  spec: unknown;
  stringData?: object;
};
type Model = new (manifest: object) => { validate(): void };
type Container = {
  args: string[];
  env: { name: string; value?: string; valueFrom?: { secretKeyRef: { name: string; key: string } } }[];
  envFrom?: { secretRef: { name: string } }[];
  ports?: { name: string; containerPort: number }[];
};
type PodSpec = { containers: [Container]; terminationGracePeriodSeconds: number };

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "llmq-manifests-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function manifests(): Promise<Manifest[]> {
  const files = await readdir(`${root}deploy/kubernetes`);
  const texts = await Promise.all(files.map((file) => read(`deploy/kubernetes/${file}`)));
  return texts.flatMap((text) => parseAllDocuments(text).map((one) => one.toJS() as Manifest));
}

function podOf(all: Manifest[], kind: "Deployment" | "Job"): PodSpec {
  const found = all.find((one) => one.kind === kind);
  return (found?.spec as { template: { spec: PodSpec } }).template.spec;
}

/** Variables that the program reads, and no others. */
function expectKnown(names: string[]): void {
  const known: string[] = configVariables.map((one) => one.name);
  expect(names).not.toEqual([]);
  expect(names.filter((name) => !known.includes(name))).toEqual([]);
}

test("compose.yaml fits the Compose specification", async () => {
  const file = join(dirname(createRequire(import.meta.url).resolve("dclint/package.json")), "schemas");
  const schema = JSON.parse(await readFile(join(file, "compose.schema.json"), "utf8"));
  // It is of a draft that ajv knows under an address with http.
  delete schema.$schema;
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats.default(ajv);
  const validate = ajv.compile(schema);
  validate(parse(await read("compose.yaml"), { merge: true }));
  expect(validate.errors).toBeNull();
});

test("compose.yaml runs the commands, the ports and the time to stop that llmq has", async () => {
  const { services } = parse(await read("compose.yaml"), { merge: true });
  const { migrate, orchestrator } = services;
  expect([migrate.command, orchestrator.command].flat()).toEqual(COMMANDS);
  expectKnown(Object.keys({ ...migrate.environment, ...orchestrator.environment }));
  expect(orchestrator.ports).toEqual([`127.0.0.1:${httpPort}-${Number(httpPort) + 1}:${httpPort}`]);
  expect(orchestrator.deploy.replicas).toBe(2);
  expect(orchestrator.environment.LLMQ_SHUTDOWN_GRACE_MS).toBe(String(graceSeconds * 1_000));
  expect(Number.parseInt(orchestrator.stop_grace_period, 10)).toBeGreaterThan(graceSeconds);
});

test("the Kubernetes manifests are of kinds that exist, without a key that does not", async () => {
  const all = await manifests();
  expect(all.map((one) => one.kind).sort()).toEqual([
    "Deployment",
    "Job",
    "PodDisruptionBudget",
    "Secret",
    "Service",
  ]);
  for (const { kind, apiVersion, ...rest } of all) {
    const models = (await import(/* @vite-ignore */ `kubernetes-models/${apiVersion}`)) as Record<
      string,
      Model
    >;
    const model = models[kind];
    expect(model, `${apiVersion} ${kind}`).toBeDefined();
    if (model !== undefined) new model(rest).validate();
  }
  // The schemas let unknown keys pass; the types of a literal do not.
  await symlink(`${root}node_modules`, join(directory, "node_modules"));
  const literals = all.map(
    ({ kind, apiVersion, ...rest }, at) =>
      `import { ${kind} as Kind${at} } from "kubernetes-models/${apiVersion}"; new Kind${at}(${JSON.stringify(rest)});`,
  );
  await writeFile(join(directory, "manifests.mts"), literals.join("\n"));
  const options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "manifests.mts"];
  const tsc = run(`${root}node_modules/.bin/tsc`, options, { cwd: directory });
  expect(await tsc.catch((error: { stdout: string }) => error)).toMatchObject({ stdout: "" });
});

test("the Kubernetes manifests run the commands, the ports and the time to stop that llmq has", async () => {
  const all = await manifests();
  const secret = all.find((one) => one.kind === "Secret");
  const given = Object.keys(secret?.stringData ?? {});
  expectKnown(given);
  for (const [kind, command] of [["Job", "migrate"] as const, ["Deployment", "start"] as const]) {
    const [container] = podOf(all, kind).containers;
    expect(container.args).toEqual([command]);
    expectKnown(container.env.map((one) => one.name));
    const references = container.env.flatMap((one) => one.valueFrom?.secretKeyRef ?? []);
    const names = [...references, ...(container.envFrom ?? []).map((one) => one.secretRef)].map(
      (one) => one.name,
    );
    expect(new Set(names)).toEqual(new Set([secret?.metadata.name]));
    expect(references.filter((one) => !given.includes(one.key))).toEqual([]);
  }
  const pod = podOf(all, "Deployment");
  const [{ env, ports }] = pod.containers;
  expect(ports?.[0]?.containerPort).toBe(Number(httpPort));
  expect(env.find((one) => one.name === "LLMQ_SHUTDOWN_GRACE_MS")?.value).toBe(String(graceSeconds * 1_000));
  expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(graceSeconds);
});

test("the systemd unit starts llmq with variables it knows, and waits for its calls", async ({ skip }) => {
  const unit = await read("deploy/llmq.service");
  const environment = await read("deploy/llmq.env");
  expectKnown([...environment.matchAll(/^(\w+)=/gm)].map((match) => match[1] ?? ""));
  const [, program = "", command] = /^ExecStart=(\S+\/llmq) (\w+)$/m.exec(unit) ?? [];
  expect(command).toBe("start");
  expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1])).toBeGreaterThan(graceSeconds);
  // systemd looks for the program as well, which is not installed here.
  const file = join(directory, "llmq.service");
  await writeFile(file, unit.replace(program, process.execPath));
  const verified = run("systemd-analyze", ["verify", file]).catch((error) => error);
  const { code, stderr } = await verified;
  if (code === "ENOENT") skip("systemd-analyze is not installed: the unit's keys were not checked");
  expect({ code, stderr }).toEqual({ code: undefined, stderr: "" });
});
