import { describe, expect, it } from 'vitest'
import { auditFilter } from './audit-filter'

const none = { action: '', actor: '', target: '', outcome: '' }
const id = '0198f2a0-0000-7000-8000-000000000001'

describe('auditFilter', () => {
  it('leaves out what is empty', () => {
    expect(auditFilter({ ...none, action: ' ' })).toEqual({})
  })

  it('takes users by name, with or without the sign, and by id', () => {
    expect(auditFilter({ ...none, actor: ' anna ' }).actor).toBe('@anna')
    expect(auditFilter({ ...none, actor: '@anna' }).actor).toBe('@anna')
    expect(auditFilter({ ...none, actor: id }).actor).toBe(id)
    expect(auditFilter({ ...none, target: 'anna' }).target).toBe('user:@anna')
    expect(auditFilter({ ...none, target: id }).target).toBe(`user:${id}`)
  })

  it('takes other targets as they are', () => {
    expect(auditFilter({ ...none, target: `stream:${id}`, outcome: 'denied' })).toEqual({
      target: `stream:${id}`,
      outcome: 'denied',
    })
  })
})
