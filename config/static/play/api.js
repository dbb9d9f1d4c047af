// A client of the HTTP API (docs/api.md): token, language, ETags, idempotency keys, and which requests to repeat.

const PAUSES_MS = [500, 1000, 2000, 4000, 8000];
const LONGEST_PAUSE_MS = 30000;
const TIMEOUT_MS = 10000;
const STORAGE = "heists";
const TOKEN = `${STORAGE}-token`;

/** An answer that is an error: `code` decides, `body` is the problem document. */
export class Problem extends Error {
  constructor(status, body, retryAfter) {
    super(body.detail || "");
    this.status = status;
    this.body = body;
    this.code = body.code || null;
    this.retryAfterMs = retryAfter && /^\d+$/.test(retryAfter) ? retryAfter * 1000 : null;
  }

  /** Whether the same request may be repeated: 429 and 503 with Retry-After, or a proxy's own 502 to 504. */
  get isTemporary() {
    if (this.code === null) return [502, 503, 504].includes(this.status);
    return [429, 503].includes(this.status) && this.retryAfterMs !== null;
  }
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export class Api {
  /**
   * `onWait(problem or null, ms)` is called before each pause, `onAnswer()` after each answer, and `onToken()` after
   * another tab signed in or out.
   */
  constructor({ language, onWait, onAnswer, onToken }) {
    this.language = language;
    this.onWait = onWait;
    this.onAnswer = onAnswer;
    this.cached = new Map();
    window.addEventListener("storage", ({ key }) => {
      if (key !== TOKEN && key !== null) return;
      this.forget();
      onToken();
    });
  }

  /** Drop what belongs to the player of the last token. */
  forget() {
    this.cached.clear();
    sessionStorage.clear();
  }

  get token() {
    return localStorage.getItem(TOKEN);
  }

  set token(token) {
    this.forget();
    if (token) localStorage.setItem(TOKEN, token);
    else localStorage.removeItem(TOKEN);
  }

  /** Return the answer; with `changed: false` where the server answered 304. */
  async poll(path) {
    const known = this.cached.get(path);
    const answer = await this.repeat("GET", path, { etag: known?.etag });
    if (answer.status === 304) return { body: known.body, changed: false };
    if (answer.etag) this.cached.set(path, answer);
    return { body: answer.body, changed: true };
  }

  async get(path) {
    return (await this.repeat("GET", path)).body;
  }

  /** PUT and PATCH say what is wanted, so they may be repeated. */
  async put(path, body) {
    return (await this.repeat("PUT", path, { body })).body;
  }

  async patch(path, body) {
    return (await this.repeat("PATCH", path, { body })).body;
  }

  /** POST once: without a key, a repeated request might be carried out twice. */
  async post(path, body) {
    return (await this.send("POST", path, { body })).body;
  }

  /** POST with a key that is kept until the answer, a reload of the page included: it is carried out once. */
  async once(path, body) {
    const name = `${STORAGE}-key ${path} ${JSON.stringify(body ?? null)}`;
    const key = sessionStorage.getItem(name) || newKey();
    sessionStorage.setItem(name, key);
    try {
      const answer = await this.repeat("POST", path, { body, key });
      sessionStorage.removeItem(name);
      return answer.body;
    } catch (error) {
      // A final answer ends the intention; a lost one does not.
      if (error instanceof Problem && !error.isTemporary) sessionStorage.removeItem(name);
      throw error;
    }
  }

  async repeat(method, path, options = {}) {
    for (const pause of [...PAUSES_MS, null]) {
      try {
        return await this.send(method, path, options);
      } catch (error) {
        const lost = !(error instanceof Problem);
        if (pause === null || !(lost || error.isTemporary)) throw error;
        const ms = Math.min(Math.max(pause, error.retryAfterMs || 0), LONGEST_PAUSE_MS);
        this.onWait(lost ? null : error, ms);
        await sleep(ms);
      }
    }
  }

  async send(method, path, { body, key, etag } = {}) {
    const headers = { Accept: "application/json", "Accept-Language": this.language };
    if (this.token) headers.Authorization = `Token ${this.token}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (key) headers["Idempotency-Key"] = key;
    if (etag) headers["If-None-Match"] = etag;
    const response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      // ETags are kept here, and the token is the only sign-in.
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.status === 304) {
      this.onAnswer();
      return { status: 304 };
    }
    const text = await response.text();
    let data = null;
    try {
      data = text ? JSON.parse(text) : null;
    } catch {
      data = null;
    }
    if (!response.ok) throw new Problem(response.status, data || {}, response.headers.get("Retry-After"));
    this.onAnswer();
    return { status: response.status, etag: response.headers.get("ETag"), body: data };
  }
}

/** A random key. `crypto.randomUUID` exists only on HTTPS and localhost. */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
