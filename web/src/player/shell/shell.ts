import videojs from 'video.js/core.es.js'
import type { HlsEngine } from '../engines/hls/engine'
import { hlsType, onEngine, registerHls } from './hls-source'

export type VideoJsPlayer = ReturnType<typeof videojs>

export interface ShellOptions {
  video: HTMLVideoElement
  src: string
  /** Milliseconds without pointer or key until the controls may hide. */
  inactivity?: number
  onEngine: (engine: HlsEngine) => void
}

/**
 * The Video.js player around the element: source handling, full screen with its fallbacks, picture in
 * picture and the viewer's activity are its work, and plug-ins find the usual API. Its control bar is not
 * used; ours is drawn by the page, in the page's language and tokens.
 *
 * The element's parent must carry `data-vjs-player`: Video.js then makes that parent its own and moves nothing.
 */
export function createShell(options: ShellOptions): VideoJsPlayer {
  registerHls(videojs)
  onEngine(options.video, options.onEngine)
  const player = videojs(options.video, {
    controls: false,
    autoplay: false,
    preload: 'auto',
    playsinline: true,
    inactivityTimeout: options.inactivity ?? 2_500,
    children: ['mediaLoader'],
    errorDisplay: false,
    loadingSpinner: false,
  })
  player.src({ src: options.src, type: hlsType })
  return player
}
