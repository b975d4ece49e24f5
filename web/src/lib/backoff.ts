export interface BackoffOptions {
  /** First delay, in milliseconds. */
  base: number
  /** No delay is longer, in milliseconds (before jitter). */
  cap: number
  /** Share of the delay that is drawn by chance, 0 to 1: viewers who fell together must not return together. */
  jitter?: number
  random?: () => number
}

/** Milliseconds to wait before try number `attempt` (0 is the first retry): doubling, capped, spread. */
export function backoff(attempt: number, options: BackoffOptions): number {
  const { base, cap, jitter = 0.3, random = Math.random } = options
  const delay = Math.min(cap, base * 2 ** Math.min(Math.max(attempt, 0), 30))
  return Math.round(delay * (1 - jitter / 2 + jitter * random()))
}

/** Resolves after `ms`, or at once when the signal aborts. It never rejects. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const timer = setTimeout(done, ms)
    signal?.addEventListener('abort', done, { once: true })
    function done() {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
  })
}
