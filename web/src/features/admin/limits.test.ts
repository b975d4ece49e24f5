import { expect, it } from 'vitest'
import type { Limits } from '@/api/types'
import { isLimit, toPatch, toTexts } from './limits'

const limits: Limits = {
  storage_max_bytes: 50 * 2 ** 30,
  file_max_bytes: 1.5 * 2 ** 30,
  duration_max_s: 43_200,
  uploads_max: 20,
  streams_max: 3,
  stream_keys_max: 5,
  webhooks_max: 5,
  api_tokens_max: 20,
}

it('shows limits in the units of people', () => {
  expect(toTexts(limits)).toMatchObject({
    storage_max_bytes: '50',
    file_max_bytes: '1.5',
    duration_max_s: '12',
    uploads_max: '20',
  })
})

it('sends what was changed alone; what is empty goes back to the site', () => {
  const texts = toTexts(limits)
  expect(toPatch(texts, limits)).toEqual({})
  expect(
    toPatch({ ...texts, storage_max_bytes: '100', duration_max_s: '0.5', streams_max: ' ' }, limits),
  ).toEqual({
    storage_max_bytes: 100 * 2 ** 30,
    duration_max_s: 1_800,
    streams_max: null,
  })
})

it('tells what can be a limit', () => {
  expect(['', ' 7 ', '0', '1.5'].map(isLimit)).toEqual([true, true, true, true])
  expect(['-1', 'many', '1e9', '1,5', '1234567890123'].map(isLimit)).toEqual(Array(5).fill(false))
})
