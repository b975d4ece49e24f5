import type { Level } from 'hls.js'

/** What a viewer wants to see: what bandwidth allows, sound alone, or a level told by its looks. */
export type Wish = 'auto' | 'sound' | LevelWish

/** A level is wished for by what it is: its place in the list changes with every ladder. */
export interface LevelWish {
  height: number
  fps: number
}

export interface Quality {
  /** Stable while the list is shown. */
  key: string
  wish: Wish
  name: string
  /** Bits per second; 0 where the playlist does not tell. */
  bitrate: number
  active: boolean
  /** Chosen by the viewer rather than by bandwidth. */
  chosen: boolean
}

type Look = Pick<Level, 'height' | 'frameRate' | 'bitrate'>

/** "1080p60", "720p", or the bitrate where the size is not told. */
export function levelName(level: Look): string {
  if (!level.height) return `${Math.round(level.bitrate / 1000)} kbit/s`
  return `${level.height}p${level.frameRate > 30.5 ? Math.round(level.frameRate) : ''}`
}

/**
 * Index of the level that is meant, -1 where it is not in the list (any more). Of several with that height the
 * one with the nearest frame rate is taken, then the one with the highest bitrate.
 */
export function levelOf(levels: readonly Look[], wish: Wish): number {
  if (typeof wish === 'string') return -1
  let best = -1
  const better = (a: Look, b: Look) => {
    const near = Math.abs(a.frameRate - wish.fps) - Math.abs(b.frameRate - wish.fps)
    return Math.abs(near) > 1 ? near < 0 : a.bitrate > b.bitrate
  }
  levels.forEach((level, index) => {
    if (level.height !== wish.height) return
    const other = levels[best]
    if (!other || better(level, other)) best = index
  })
  return best
}

/** What the multivariant playlist offers beside its levels with a picture. */
export interface SoundVariant {
  url: string
  bitrate: number
}

interface Variant {
  url: string
  bitrate: number
  width?: number
  height?: number
  videoCodec?: string
  audioCodec?: string
}

/**
 * The variant of sound alone. hls.js drops it from its levels when there are others with a picture, so it is
 * taken from what was parsed. A variant that tells neither size nor codecs may have a picture.
 */
export function soundOf(variants: readonly Variant[]): SoundVariant | null {
  const pictured = (v: Variant) => Boolean(v.videoCodec || (v.width && v.height))
  if (!variants.some(pictured)) return null
  const sound = variants.filter((v) => !pictured(v) && v.audioCodec).sort((a, b) => b.bitrate - a.bitrate)[0]
  return sound ? { url: sound.url, bitrate: sound.bitrate } : null
}

/** The list for the menu, best first, sound alone last. `active` is the level shown now, -1 for none. */
export function qualitiesOf(
  levels: readonly Look[],
  sound: SoundVariant | null,
  active: number,
  wish: Wish,
): Quality[] {
  const chosen = levelOf(levels, wish)
  const list = levels
    .map((level, index) => ({ level, index }))
    .sort((a, b) => b.level.height - a.level.height || b.level.bitrate - a.level.bitrate)
    .map(({ level, index }): Quality => ({
      key: `${index}`,
      wish: { height: level.height, fps: level.frameRate },
      name: levelName(level),
      bitrate: level.bitrate,
      active: index === active && wish !== 'sound',
      chosen: index === chosen,
    }))
  if (!sound) return list
  const alone = { key: 'sound', wish: 'sound' as const, name: '', bitrate: sound.bitrate }
  return [...list, { ...alone, active: wish === 'sound', chosen: wish === 'sound' }]
}
