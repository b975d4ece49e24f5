import { backoff, pause } from './backoff'

export interface PollOptions {
  /** Milliseconds between the end of one run and the start of the next. */
  every: number | (() => number)
  /** Milliseconds before the first run. */
  after?: number
  /** Hidden pages do not ask; they catch up when they come back into sight. */
  visible?: () => boolean
  random?: () => number
}

/**
 * Runs a read again and again until the signal aborts: one at a time, with growing pauses while it fails,
 * and not at all while the page is hidden.
 */
export async function poll(
  run: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
  options: PollOptions,
): Promise<void> {
  const {
    every,
    after = 0,
    visible = () => document.visibilityState === 'visible',
    random = Math.random,
  } = options
  let failures = 0
  if (after > 0) await pause(after, signal)
  while (!signal.aborted) {
    if (visible()) {
      try {
        await run(signal)
        failures = 0
      } catch {
        failures++
      }
    }
    const base = typeof every === 'function' ? every() : every
    const delay = backoff(failures, { base, cap: base * 4, jitter: 0.2, random })
    await Promise.race([pause(delay, signal), visible() ? never : untilVisible(signal)])
  }
}

const never = new Promise<void>(() => undefined)

function untilVisible(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      document.removeEventListener('visibilitychange', done)
      resolve()
    }
    document.addEventListener('visibilitychange', done)
    signal.addEventListener('abort', done, { once: true })
  })
}
