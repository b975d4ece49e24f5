import { type ErrorData, ErrorDetails, ErrorTypes } from 'hls.js'

/**
 * What a fatal error of hls.js means to the engine:
 * `codec` no try will help here, `gone` nothing is live at this address, `network`, `media` and `other` have
 * their rungs on the recovery ladder.
 */
export type Fault = 'codec' | 'gone' | 'network' | 'media' | 'other'

type Told = Pick<ErrorData, 'type' | 'details'> & { response?: { code?: number } }

const codecs: readonly string[] = [
  ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR,
  ErrorDetails.BUFFER_ADD_CODEC_ERROR,
  ErrorDetails.BUFFER_INCOMPATIBLE_CODECS_ERROR,
]
const playlists: readonly string[] = [
  ErrorDetails.MANIFEST_LOAD_ERROR,
  ErrorDetails.LEVEL_LOAD_ERROR,
  ErrorDetails.AUDIO_TRACK_LOAD_ERROR,
]
/** Loading cannot be started again before there is a multivariant playlist. */
const manifest: readonly string[] = [
  ErrorDetails.MANIFEST_LOAD_ERROR,
  ErrorDetails.MANIFEST_LOAD_TIMEOUT,
  ErrorDetails.MANIFEST_PARSING_ERROR,
]

export function faultOf({ type, details, response }: Told): Fault {
  if (codecs.includes(details)) return 'codec'
  const code = response?.code
  if (playlists.includes(details) && (code === 404 || code === 410)) return 'gone'
  if (type === ErrorTypes.MEDIA_ERROR) return 'media'
  if (type === ErrorTypes.NETWORK_ERROR && !manifest.includes(details)) return 'network'
  return 'other'
}
