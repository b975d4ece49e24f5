import type { Level } from 'hls.js'
import { endsInGap, plain } from './playlist-text'

type Blamed = Pick<Level, 'loadError' | 'fragmentError' | 'uri'>

/**
 * Clears the error counts of levels that are sound again. hls.js leaves a level at its first gap segment, counts
 * an error against it and never forgives by itself, so a rung that was shed and has come back would stay unused.
 * Forgiven blindly, the player would climb onto a rung that is still shed and fall off it again; so the level's
 * playlist is asked first whether its newest segment is there. It costs one request a level.
 */
export async function forgive(
  levels: readonly Blamed[],
  fetch: typeof globalThis.fetch,
  signal: AbortSignal,
): Promise<void> {
  const blamed = levels.filter((level) => level.loadError > 0 || level.fragmentError > 0)
  await Promise.all(
    blamed.map(async (level) => {
      if (!(await isSound(level.uri, fetch, signal)) || signal.aborted) return
      level.loadError = 0
      level.fragmentError = 0
    }),
  )
}

async function isSound(url: string, fetch: typeof globalThis.fetch, signal: AbortSignal): Promise<boolean> {
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(5_000)])
    const response = await fetch(plain(url), { cache: 'no-store', signal: limit })
    return response.ok && !endsInGap(await response.text())
  } catch {
    return false
  }
}
