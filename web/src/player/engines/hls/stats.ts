import type Hls from 'hls.js'

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

/** What is being played, null before the first level is. */
export function pictureOf(hls: Hls): Stats['level'] {
  const level = hls.levels[hls.currentLevel]
  if (!level) return null
  const { width, height, frameRate: fps, bitrate, videoCodec, audioCodec } = level
  return { width, height, fps, bitrate, codecs: [videoCodec, audioCodec].filter(Boolean).join(', ') }
}
