export type Autoplay = 'sound' | 'muted' | 'refused'

/**
 * Starts playback the way the browser lets us: with sound where the viewer wants it and the browser allows
 * it, else muted, else not at all until they touch the player.
 */
export async function autoplay(video: HTMLMediaElement, wantsSound: boolean): Promise<Autoplay> {
  video.muted = !wantsSound
  if (await tryPlay(video)) return wantsSound ? 'sound' : 'muted'
  if (wantsSound) {
    video.muted = true
    if (await tryPlay(video)) return 'muted'
  }
  return 'refused'
}

async function tryPlay(video: HTMLMediaElement): Promise<boolean> {
  try {
    await video.play()
    return true
  } catch (error) {
    // AbortError: a new source came in between, which goes on playing; only a refusal is a no.
    return !(error instanceof DOMException && error.name === 'NotAllowedError')
  }
}
