// Calls an SDK and keeps what it answers, so that the TypeScript compiler can hold each
// answer against the type that the SDK itself declares for it. At run time those types are
// gone: the SDK hands out whatever JSON it gets.
import ts from "typescript";

export class Recorder {
  #client;
  #records = [];

  constructor(client) {
    this.#client = client;
  }

  // call makes a call such as "payments.retrieve" and returns its answer.
  async call(method, ...args) {
    const names = method.split(".");
    const service = names.slice(0, -1).reduce((at, name) => at[name], this.#client);
    const answer = await service[names.at(-1)](...args);
    const type = `Awaited<ReturnType<DodoPayments${names.map((name) => `["${name}"]`).join("")}>>`;
    const list = ["items", "data"].find((name) => typeof answer?.getPaginatedItems === "function" && Array.isArray(answer[name]));
    if (list) {
      answer[list].forEach((item) => this.keep(method, `${type}["${list}"][number]`, item));
    } else {
      this.keep(method, type, answer);
    }
    return answer;
  }

  // keep remembers a value that must be of a type.
  keep(name, type, value) {
    this.#records.push({ name, type, value });
  }

  // mismatches lists what the compiler finds wrong with what was kept.
  mismatches() {
    const source = ['import type DodoPayments from "dodopayments";'];
    this.#records.forEach(({ name, type, value }, i) => {
      const nothing = value === undefined || value === null || value === ""; // what the SDK makes of an empty body
      const literal = nothing ? "undefined" : JSON.stringify(value, null, 1);
      source.push(`/* ${name} */ export const v${i}: ${type} = ${literal};`);
    });
    return compile(source.join("\n"));
  }

  get count() {
    return this.#records.length;
  }
}

// compile checks a source text strictly, as a file next to this one.
function compile(text) {
  const file = new URL("answers.ts", import.meta.url).pathname;
  const options = {
    strict: true, noEmit: true, skipLibCheck: true, types: [], target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext,
  };
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (name) => name === file || fileExists(name);
  host.readFile = (name) => (name === file ? text : readFile(name));
  host.getSourceFile = (name, ...rest) =>
    name === file ? ts.createSourceFile(name, text, options.target) : getSourceFile(name, ...rest);
  return ts.getPreEmitDiagnostics(ts.createProgram([file], options, host)).map((found) => {
    const line = found.file === undefined ? "" : lineOf(text, found.start);
    return `${line}: ${ts.flattenDiagnosticMessageText(found.messageText, "\n")}`;
  });
}

// lineOf is the call before a position, and the line at it.
function lineOf(text, start) {
  const before = text.slice(0, start);
  const call = before.lastIndexOf("/* ") >= 0 ? before.slice(before.lastIndexOf("/* ") + 3).split(" */")[0] : "";
  return `${call}: ${before.slice(before.lastIndexOf("\n") + 1)}${text.slice(start).split("\n")[0]}`.trim();
}
