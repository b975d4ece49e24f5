import { expect, it } from 'vitest'
import { actsOf, jobStates } from './jobs'

it('offers what the state allows', () => {
  const acts = Object.fromEntries(jobStates.map((state) => [state, actsOf({ state })]))
  expect(acts).toEqual({
    waiting: { retry: true, cancel: true, move: true },
    running: { retry: false, cancel: true, move: false },
    failed: { retry: true, cancel: false, move: false },
    done: { retry: true, cancel: false, move: false },
    canceled: { retry: true, cancel: false, move: false },
  })
})
