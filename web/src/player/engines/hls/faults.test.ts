import { ErrorDetails, ErrorTypes } from 'hls.js'
import { expect, it } from 'vitest'
import { type Fault, faultOf } from './faults'

const { MEDIA_ERROR, NETWORK_ERROR, MUX_ERROR } = ErrorTypes

it.each<[ErrorTypes, ErrorDetails, number | undefined, Fault]>([
  [MEDIA_ERROR, ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR, undefined, 'codec'],
  [MEDIA_ERROR, ErrorDetails.BUFFER_ADD_CODEC_ERROR, undefined, 'codec'],
  [NETWORK_ERROR, ErrorDetails.MANIFEST_LOAD_ERROR, 404, 'gone'],
  [NETWORK_ERROR, ErrorDetails.LEVEL_LOAD_ERROR, 410, 'gone'],
  [NETWORK_ERROR, ErrorDetails.LEVEL_LOAD_ERROR, 500, 'network'],
  [NETWORK_ERROR, ErrorDetails.FRAG_LOAD_ERROR, 404, 'network'],
  [NETWORK_ERROR, ErrorDetails.MANIFEST_LOAD_ERROR, 500, 'other'],
  [NETWORK_ERROR, ErrorDetails.MANIFEST_PARSING_ERROR, 200, 'other'],
  [MEDIA_ERROR, ErrorDetails.BUFFER_APPEND_ERROR, undefined, 'media'],
  [MUX_ERROR, ErrorDetails.REMUX_ALLOC_ERROR, undefined, 'other'],
])('%s %s %s is %s', (type, details, code, fault) => {
  expect(faultOf({ type, details, response: code === undefined ? undefined : { code } })).toBe(fault)
})
