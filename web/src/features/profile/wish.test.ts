// @vitest-environment jsdom
import { beforeEach, expect, it } from 'vitest'
import { takeWish, wishToFollow } from './wish'

beforeEach(() => sessionStorage.clear())

it('is done once, for whom it was meant', () => {
  wishToFollow('anna')
  expect(takeWish('anna')).toBe(true)
  expect(takeWish('anna')).toBe(false)
  wishToFollow('anna')
  expect(takeWish('bert')).toBe(false)
  expect(takeWish('anna')).toBe(false)
})

it('is forgotten after a while', () => {
  wishToFollow('anna', 0)
  expect(takeWish('anna', 31 * 60_000)).toBe(false)
})

it('takes no word of others for a wish', () => {
  for (const text of ['', '{', '"anna"', 'null', '[]']) {
    sessionStorage.setItem('mediad.wish', text)
    expect(takeWish('anna')).toBe(false)
  }
})
