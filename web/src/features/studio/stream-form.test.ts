import { expect, it } from 'vitest'
import { changesOf, emptyStream, tagsOf } from './stream-form'

it('sends only what was changed', () => {
  expect(changesOf(emptyStream, { ...emptyStream })).toEqual({})
  expect(changesOf(emptyStream, { ...emptyStream, title: 'Blitz', record: false, tags: 'a, b' })).toEqual({
    title: 'Blitz',
    record: false,
    tags: ['a', 'b'],
  })
})

it('reads tags as people write them', () => {
  expect(tagsOf(' chess,blitz，国际象棋、 ,chess')).toEqual(['chess', 'blitz', '国际象棋'])
  expect(tagsOf('')).toEqual([])
})
