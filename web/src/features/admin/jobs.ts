import type { Job } from '@/api/types'

export const jobStates = ['waiting', 'running', 'failed', 'done', 'canceled'] as const

/** It waits or runs, and so may change by itself. */
export function isOpen({ state }: Pick<Job, 'state'>): boolean {
  return state === 'waiting' || state === 'running'
}

/** What may be done to a job in its state. The server has the last word: it may have gone on meanwhile. */
export function actsOf(job: Pick<Job, 'state'>): { retry: boolean; cancel: boolean; move: boolean } {
  return { retry: job.state !== 'running', cancel: isOpen(job), move: job.state === 'waiting' }
}
