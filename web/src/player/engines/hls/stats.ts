import type Hls from 'hls.js'
import type { Stats } from '../engine'

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
