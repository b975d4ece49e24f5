import { expect, it } from 'vitest'
import { ApiError } from '@/api/client'
import { pictureFault } from './picture-fault'

const refused = (status: number, code: string, more: object = {}) =>
  new ApiError(status, code, '', null, more)
const file = (fault: object) =>
  refused(422, 'validation_failed', { errors: [{ pointer: '/file', ...fault }] })

it('says what is wrong with a picture, in the numbers of the server', () => {
  expect(pictureFault(refused(415, 'unsupported_media_type'))).toEqual({ code: 'picture_kind' })
  expect(pictureFault(refused(413, 'payload_too_large', { max_bytes: 2 << 20 }))).toEqual({
    code: 'picture_large',
    max: 2,
  })
  expect(pictureFault(file({ code: 'out_of_range', message: '', min: 64, max: 8_192 }))).toEqual({
    code: 'picture_sides',
    min: 64,
    max: 8_192,
  })
  expect(pictureFault(file({ code: 'out_of_range', message: 'too much' }))?.code).toBe('picture_costly')
  expect(pictureFault(file({ code: 'invalid_format', message: 'broken' }))?.code).toBe('picture_broken')
})

it('leaves all else to be said above', () => {
  expect(pictureFault(refused(502, 'storage_unavailable'))).toBeNull()
  expect(pictureFault(refused(429, 'rate_limited'))).toBeNull()
})
