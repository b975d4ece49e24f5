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
    // Begin with what a usual connection carries, or the first seconds are the smallest picture.
    abrEwmaDefaultEstimate: 4_000_000,
    startFragPrefetch: true,
    enableInterstitialPlayback: false,
    enableID3MetadataCues: false,
    pLoader: playlistLoader(options),
  }
}
