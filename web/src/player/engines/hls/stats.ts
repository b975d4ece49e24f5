import type Hls from 'hls.js'
import type { Level } from 'hls.js'

export interface Quality {
  index: number
  name: string
  height: number
  /** Bits per second. */
  bitrate: number
  active: boolean
  /** Chosen by the viewer rather than by bandwidth. */
  chosen: boolean
}

/** What the badge and the overlay show. Times in seconds, rates in bits per second. */
export interface Stats {
  latency: number
  target: number
  rate: number
  buffer: number
  behind: boolean
  reached: boolean
  stalls: number
  reloads: number
  decoded: number
  dropped: number
  bandwidth: number
  level: { width: number; height: number; fps: number; bitrate: number; codecs: string } | null
  /** Positions between which the viewer may seek while live. */
  window: { start: number; end: number } | null
  partTarget: number
}

/** Seconds of media ahead of the position without a hole. */
export function forwardBuffer(video: Pick<HTMLVideoElement, 'buffered' | 'currentTime'>): number {
  const { buffered, currentTime } = video
  for (let i = 0; i < buffered.length; i++) {
    if (currentTime >= buffered.start(i) - 0.1 && currentTime <= buffered.end(i))
      return buffered.end(i) - currentTime
  }
  return 0
}

/** "1080p60", "720p", or the bitrate where the size is not told. */
export function levelName(level: Pick<Level, 'height' | 'frameRate' | 'bitrate'>): string {
  if (!level.height) return `${Math.round(level.bitrate / 1000)} kbit/s`
  return `${level.height}p${level.frameRate > 40 ? Math.round(level.frameRate) : ''}`
}

export function qualitiesOf(hls: Hls): Quality[] {
  return hls.levels.map((level, index) => ({
    index,
    name: levelName(level),
    height: level.height,
    bitrate: level.bitrate,
    active: index === hls.currentLevel,
    chosen: !hls.autoLevelEnabled && index === hls.nextLevel,
  }))
}

/** What is being played, null before the first level is. */
export function pictureOf(hls: Hls): Stats['level'] {
  const level = hls.levels[hls.currentLevel]
  if (!level) return null
  const { width, height, frameRate: fps, bitrate, videoCodec, audioCodec } = level
  return { width, height, fps, bitrate, codecs: [videoCodec, audioCodec].filter(Boolean).join(', ') }
}
