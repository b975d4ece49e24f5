import { expect, it } from 'vitest'
import { readPreferences, writePreferences } from './preferences'

function storage(initial?: string) {
  let value = initial ?? null
  return { getItem: () => value, setItem: (_key: string, next: string) => void (value = next) }
}

it('remembers what was chosen and keeps the rest', () => {
  const s = storage()
  writePreferences({ volume: 0.4 }, s)
  writePreferences({ theatre: true }, s)
  expect(readPreferences(s)).toMatchObject({ volume: 0.4, theatre: true, sound: null, shortcuts: true })
})

it.each([
  '{',
  'null',
  '"x"',
  '{"volume":7,"sound":"yes","quality":-1,"delivery":"later","theatre":1}',
  '{"quality":{"height":"x","fps":0}}',
])('takes nothing from %s', (text) => {
  expect(readPreferences(storage(text))).toEqual({
    volume: 1,
    sound: null,
    quality: 'auto',
    delivery: 'low',
    theatre: false,
    shortcuts: true,
  })
})

it.each([
  ['"sound"', 'sound'],
  ['720', { height: 720, fps: 0 }],
  ['{"height":720,"fps":60}', { height: 720, fps: 60 }],
])('reads the quality %s', (text, quality) => {
  expect(readPreferences(storage(`{"quality":${text}}`)).quality).toEqual(quality)
})

it('does without storage', () => {
  const closed = {
    getItem: () => {
      throw new Error('closed')
    },
    setItem: () => {
      throw new Error('closed')
    },
  }
  expect(() => writePreferences({ volume: 0.1 }, closed)).not.toThrow()
  expect(readPreferences(closed).volume).toBe(1)
})
