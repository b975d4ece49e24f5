import type { HlsConfig } from 'hls.js'
import type { HeldOptions } from './held'
import { playlistLoader } from './loader'

/** hls.js for live streams. What is not named keeps its default. */
export function liveConfig(options: HeldOptions): Partial<HlsConfig> {
  return {
    lowLatencyMode: true,
    // LatencyController sets the rate and moves the target; at 1 and 0 hls.js leaves both alone.
    maxLiveSyncPlaybackRate: 1,
    liveSyncOnStallIncrease: 0,
    liveDurationInfinity: true,
    backBufferLength: 30,
    maxBufferLength: 10,
    capLevelToPlayerSize: true,
    // The buffer is half a second, so a fall must be seen within a few parts; the estimate that rises is the slower
    // of the two. Between the shares for staying and for climbing lies what keeps a level from being left and taken
    // again; what is never used pays for catching up at 1.1 times the rate.
    abrEwmaFastLive: 1,
    abrEwmaSlowLive: 6,
    abrBandWidthFactor: 0.85,
    abrBandWidthUpFactor: 0.6,
    // Begin with what a usual connection carries, or the first seconds are the smallest picture.
    abrEwmaDefaultEstimate: 4_000_000,
    startFragPrefetch: true,
    enableInterstitialPlayback: false,
    enableID3MetadataCues: false,
    pLoader: playlistLoader(options),
  }
}

/** hls.js for what is over or lies behind the live edge: whole segments, and enough of them to be at ease. */
export function archiveConfig(
  options: HeldOptions,
  { startPosition, edit }: { startPosition: number; edit: (text: string) => string },
): Partial<HlsConfig> {
  return {
    lowLatencyMode: false,
    maxLiveSyncPlaybackRate: 1,
    liveSyncOnStallIncrease: 0,
    liveDurationInfinity: true,
    startPosition,
    backBufferLength: 60,
    maxBufferLength: 30,
    capLevelToPlayerSize: true,
    abrEwmaDefaultEstimate: 4_000_000,
    startFragPrefetch: true,
    enableInterstitialPlayback: false,
    enableID3MetadataCues: false,
    pLoader: playlistLoader(options, edit),
  }
}
