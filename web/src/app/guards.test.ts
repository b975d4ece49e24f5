// @vitest-environment jsdom
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { createMemoryHistory, createRouter, type Router } from 'vue-router'
import type { Own, Role } from '@/api/types'
import { keptToken } from '@/features/auth/token'
import { backTo, decide, guard, safeTarget, type Visitor } from './guards'
import { atLeast, useSession } from './session'

const view = { template: '<i />' }
const admin = vi.fn(async () => view)

function site(): Router {
  const router = createRouter({
    history: createMemoryHistory(),
    routes: [
      { path: '/', name: 'home', component: view },
      { path: '/login', name: 'login', component: view, meta: { guest: true } },
      { path: '/change-password', name: 'change-password', component: view, meta: { signedIn: true } },
      { path: '/settings', name: 'settings', component: view, meta: { signedIn: true } },
      { path: '/admin/:part?', name: 'admin', component: admin, meta: { least: 'admin' } },
      { path: '/:path(.*)*', name: 'notfound', component: view },
      { path: '/:path(.*)*', name: 'forbidden', component: view },
    ],
  })
  guard(router)
  return router
}

function be(role: Role | null, more: Partial<Own> = {}) {
  const session = useSession()
  session.known = true
  session.user = role && ({ role, must_change_password: false, ...more } as Own)
}

beforeEach(() => {
  setActivePinia(createPinia())
  admin.mockClear()
})

describe('the guard', () => {
  it('sends who is not signed in to the login, and from there back', async () => {
    const router = site()
    be(null)
    await router.push('/settings?x=1#y')
    expect(router.currentRoute.value.name).toBe('login')
    expect(router.currentRoute.value.query.to).toBe('/settings?x=1#y')
    be('viewer')
    const visitor: Visitor = { signedIn: true, mustChangePassword: false, is: () => false }
    expect(decide(router.currentRoute.value, visitor)).toBe('/settings?x=1#y')
  })

  it('names no token of a mail in an address, and keeps it in the tab', async () => {
    const router = site()
    sessionStorage.clear()
    be(null)
    await router.push('/settings?x=1#token=mdc_secret')
    expect(router.currentRoute.value.query.to).toBe('/settings?x=1')
    be('admin', { must_change_password: true })
    await router.push('/verify-email#token=mdc_secret')
    expect(router.currentRoute.value.name).toBe('change-password')
    expect(router.currentRoute.value.fullPath).not.toContain('mdc_secret')
    expect(keptToken('/verify-email')).toBe('mdc_secret')
    be(null)
    await router.push('/verify-email#token=mdc_secret')
    expect(backTo(router.currentRoute.value)).toBe('/verify-email')
  })

  it('shows 403 under the same address, and does not fetch the page', async () => {
    const router = site()
    for (const role of ['viewer', 'streamer', 'moderator'] as const) {
      be(role)
      await router.push('/admin/users?q=a')
      expect(router.currentRoute.value.name).toBe('forbidden')
      expect(router.currentRoute.value.fullPath).toBe('/admin/users?q=a')
      await router.push('/')
    }
    expect(admin).not.toHaveBeenCalled()
    be('admin')
    await router.push('/admin/users?q=a')
    expect(router.currentRoute.value.name).toBe('admin')
    expect(admin).toHaveBeenCalledTimes(1)
  })

  it('lets a one-time password lead nowhere but to its change', async () => {
    const router = site()
    be('admin', { must_change_password: true })
    await router.push('/admin')
    expect(router.currentRoute.value.name).toBe('change-password')
    expect(router.currentRoute.value.query.to).toBe('/admin')
  })

  it('goes back to pages of this site alone', () => {
    expect(safeTarget('/studio?x=1')).toBe('/studio?x=1')
    for (const bad of [
      '//evil.example',
      '/\\evil.example',
      '/\t/evil.example',
      '/\n/evil.example',
      'https://evil.example',
      'javascript:alert(1)',
      '',
      null,
      ['/a'],
    ]) {
      expect(safeTarget(bad)).toBe('/')
    }
  })

  it('knows the order of roles', () => {
    expect(atLeast('admin', 'moderator')).toBe(true)
    expect(atLeast('streamer', 'streamer')).toBe(true)
    expect(atLeast('viewer', 'streamer')).toBe(false)
    expect(atLeast(undefined, 'viewer')).toBe(false)
    expect(atLeast('owner', 'viewer')).toBe(false)
  })
})

it('is how every page names the way back', () => {
  const pages = import.meta.glob<string>('../**/*.vue', { eager: true, query: '?raw', import: 'default' })
  expect(Object.keys(pages).length).toBeGreaterThan(100)
  const others = Object.keys(pages).filter((file) => pages[file]?.includes('fullPath'))
  expect(others).toEqual([])
})
