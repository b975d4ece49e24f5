import { expect, it } from 'vitest'
import { readMark, writeMark } from './resume'

function storage(initial?: string) {
  let value = initial ?? null
  return { getItem: () => value, setItem: (_key: string, next: string) => void (value = next) }
}

it('keeps a place, a newer one instead', () => {
  const s = storage()
  writeMark('v:1', 61.23, 600, s, () => 5)
  writeMark('v:2', 99, Infinity, s, () => 6)
  expect(readMark('v:1', s)).toEqual({ at: 61.2, seen: 5 })
  writeMark('v:1', 80, 600, s, () => 7)
  expect(readMark('v:1', s)).toEqual({ at: 80, seen: 7 })
  expect(readMark('v:2', s)).toEqual({ at: 99, seen: 6 })
  expect(readMark('v:3', s)).toBeNull()
})

it.each([
  [30, 600],
  [12, Infinity],
  [571, 600],
  [20, 40],
])('forgets it at %d of %d s', (at, length) => {
  const s = storage()
  writeMark('v:1', 100, 600, s)
  writeMark('v:1', at, length, s)
  expect(readMark('v:1', s)).toBeNull()
})

it('keeps a hundred, the newest', () => {
  const s = storage()
  for (let i = 0; i < 105; i++) writeMark(`v:${i}`, 60, 600, s, () => i)
  expect(readMark('v:4', s)).toBeNull()
  expect(readMark('v:5', s)).not.toBeNull()
  expect(readMark('v:104', s)).not.toBeNull()
})

it.each(['{', 'null', '[]', '"x"', '{"v:1":5}', '{"v:1":{"at":"x","seen":1}}', '{"v:1":null}'])(
  'takes nothing from %s',
  (text) => {
    expect(readMark('v:1', storage(text))).toBeNull()
    const s = storage(text)
    writeMark('v:1', 60, 600, s, () => 1)
    expect(readMark('v:1', s)).toEqual({ at: 60, seen: 1 })
  },
)

it('does without storage', () => {
  const closed = {
    getItem: () => {
      throw new Error('closed')
    },
    setItem: () => {
      throw new Error('closed')
    },
  }
  expect(() => writeMark('v:1', 60, 600, closed)).not.toThrow()
  expect(readMark('v:1', closed)).toBeNull()
})
