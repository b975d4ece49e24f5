import { expect, it } from 'vitest'
import type { Stream } from '@/api/types'
import {
  changesOf,
  choices,
  emptyStream,
  keepChanges,
  keepOf,
  rulesChanges,
  rulesOf,
  tagsOf,
} from './stream-form'

it('sends only what was changed', () => {
  expect(changesOf(emptyStream, { ...emptyStream })).toEqual({})
  expect(changesOf(emptyStream, { ...emptyStream, title: 'Blitz', mature: true, tags: 'a, b' })).toEqual({
    title: 'Blitz',
    mature: true,
    tags: ['a', 'b'],
  })
})

it('reads tags as people write them', () => {
  expect(tagsOf(' chess,blitz，国际象棋、 ,chess')).toEqual(['chess', 'blitz', '国际象棋'])
  expect(tagsOf('')).toEqual([])
})

it('sends times as numbers, and offers what is set', () => {
  const stream = { record: true, replay_visibility: 'public', dvr_s: 5_000, resume_window_s: 60 } as Stream
  const before = keepOf(stream)
  expect(keepChanges(before, { ...before })).toEqual({})
  expect(keepChanges(before, { ...before, dvr_s: '0', replay_visibility: 'private' })).toEqual({
    dvr_s: 0,
    replay_visibility: 'private',
  })
  expect(choices([0, 3_600, 7_200], before.dvr_s)).toEqual([0, 3_600, 5_000, 7_200])
})

it('sends the rules for publishers as the API has them', () => {
  const free = rulesOf({ publish: { protocols: [], max_bitrate_bps: null } } as unknown as Stream)
  expect(free).toEqual({ protocols: [], bitrate: '' })
  expect(rulesChanges(free, { ...free })).toEqual({})
  expect(rulesChanges(free, { protocols: ['srt', 'rtmps'], bitrate: ' 8000' })).toEqual({
    publish: { protocols: ['rtmps', 'srt'], max_bitrate_bps: 8_000_000 },
  })
  const bound = rulesOf({ publish: { protocols: ['srt', 'rtmps'], max_bitrate_bps: 8_000_000 } } as Stream)
  expect(bound).toEqual({ protocols: ['rtmps', 'srt'], bitrate: '8000' })
  // In another order it is the same.
  expect(rulesChanges(bound, { protocols: ['srt', 'rtmps'], bitrate: '8000' })).toEqual({})
  expect(rulesChanges(bound, { protocols: [], bitrate: '' })).toEqual({
    publish: { protocols: null, max_bitrate_bps: null },
  })
})
