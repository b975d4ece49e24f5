import videojs from 'video.js/core.es.js'
import { hlsType, teachHls } from './hls-source'

export type VideoJsPlayer = ReturnType<typeof videojs>

export interface ShellOptions {
  video: HTMLVideoElement
  src: string
  /** Milliseconds without pointer or key until the controls may hide. */
  inactivity?: number
}

/**
 * The Video.js player around the element: source handling, full screen with its fallbacks and the viewer's
 * activity are its work, and plug-ins find the usual API. Its control bar is not used; ours is drawn by the
 * page, in the page's language and tokens (docs/decisions/0003-player-shell.md).
 *
 * The element's parent must carry `data-vjs-player`: Video.js then makes that parent its own and moves nothing,
 * so it may come while the picture is running.
 */
export function createShell(options: ShellOptions): VideoJsPlayer {
  teachHls(videojs)
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
  player.ready(() => tellPlaying(player, options.video))
  return player
}

/** Video.js came after playback began, and would take the element for paused and never hide the controls. */
function tellPlaying(player: VideoJsPlayer, video: HTMLVideoElement): void {
  if (video.paused) return
  const tech = player.tech({ IWillNotUseThisInPlugins: true })
  tech.trigger('play')
  tech.trigger('playing')
}
