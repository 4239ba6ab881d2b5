// The public API as this page uses it: one function, and errors that can be shown to people.

const TOKEN_PATH = "/demo/token";
const NO_ANSWER = "The server does not answer. Is `manage.py up` still running?";

/** An answer that is an error; `message` is the problem's own words. */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || `The server answered ${status}.`);
    this.status = status;
    this.code = problem.code || "";
    this.problem = problem;
  }
}

async function send(path, options) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", ...options });
  } catch {
    throw new ApiError(0, { detail: NO_ANSWER, code: "no_answer" });
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ApiError(answer.status, body);
  return body;
}

function json(method, body, headers = {}) {
  return {
    method,
    headers: { "Content-Type": "application/json", ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  };
}

/** A client for one user; it asks for a token when it first needs one, and when one is over. */
export function clientFor(user) {
  let token;
  const issue = async () => {
    token = send(TOKEN_PATH, json("POST", { user })).then((answer) => answer.token);
    token.catch(() => {
      token = undefined;
    });
    return token;
  };
  const call = async (method, path, body, headers = {}) => {
    const bearer = await (token || issue());
    return send(path, json(method, body, { ...headers, Authorization: `Bearer ${bearer}` }));
  };
  const ask = async (...words) => {
    try {
      return await call(...words);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      await issue();
      return call(...words);
    }
  };
  return {
    user,
    get: (path) => ask("GET", path),
    post: (path, body, headers) => ask("POST", path, body, headers),
  };
}

/** A key that makes a repeated request the same request. */
export function freshKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
