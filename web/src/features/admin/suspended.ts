import type { AdminUser } from '@/api/types'

/** Whether somebody is kept out. One whose time is over is not, though the state stays until they come back. */
export function isSuspended(user: Pick<AdminUser, 'state' | 'suspended_until'>, now: number): boolean {
  return (
    user.state === 'suspended' && (user.suspended_until === null || Date.parse(user.suspended_until) > now)
  )
}
