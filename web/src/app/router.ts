import { nextTick } from 'vue'
import { createRouter, createWebHistory, type RouteRecordRaw, START_LOCATION } from 'vue-router'
import { type Feature, loadMessages } from '@/i18n'
import { guard, safeTarget } from './guards'

declare module 'vue-router' {
  interface RouteMeta {
    /** Message key of the document's title; a page with a title of its own sets it itself. */
    title?: string
    /** One page with parts: it stays while its parts change. */
    parts?: boolean
  }
}

/** A page whose messages come with it. */
function page<T>(view: () => Promise<T>, ...messages: Feature[]): () => Promise<T> {
  return async () => (await Promise.all([view(), loadMessages(messages)]))[0]
}

// web/routes.go lists the same paths: only for them does the server answer with this page.
const routes: RouteRecordRaw[] = [
  {
    path: '/',
    name: 'home',
    component: () => import('@/features/home/HomePage.vue'),
    meta: { title: 'home.title' },
  },
  {
    path: '/watch/:stream',
    name: 'watch',
    component: () => import('@/features/watch/WatchPage.vue'),
    props: true,
  },
  {
    path: '/video/:video',
    name: 'video',
    component: () => import('@/features/video/VideoPage.vue'),
    props: true,
  },
  {
    path: '/@:name',
    name: 'profile',
    component: page(() => import('@/features/profile/ProfilePage.vue'), 'profile', 'forms'),
    props: true,
  },
  {
    path: '/login',
    name: 'login',
    component: page(() => import('@/features/auth/LoginPage.vue'), 'auth', 'forms'),
    meta: { title: 'common.signIn', guest: true },
  },
  {
    path: '/register',
    name: 'register',
    component: page(() => import('@/features/auth/RegisterPage.vue'), 'auth', 'forms'),
    meta: { title: 'common.signUp', guest: true },
  },
  {
    path: '/forgot-password',
    name: 'forgot-password',
    component: page(() => import('@/features/auth/ForgotPage.vue'), 'auth', 'forms'),
    meta: { title: 'auth.forgot.title' },
  },
  {
    path: '/reset-password',
    name: 'reset-password',
    component: page(() => import('@/features/auth/ResetPage.vue'), 'auth', 'forms'),
    meta: { title: 'auth.reset.title' },
  },
  {
    path: '/restore',
    name: 'restore',
    component: page(() => import('@/features/auth/RestorePage.vue'), 'auth', 'forms'),
    meta: { title: 'auth.restore.title', guest: true },
  },
  {
    path: '/change-password',
    name: 'change-password',
    component: page(() => import('@/features/auth/ChangePage.vue'), 'auth', 'forms'),
    meta: { title: 'auth.change.title', signedIn: true },
  },
  {
    path: '/verify-email',
    name: 'verify-email',
    component: page(() => import('@/features/auth/VerifyPage.vue'), 'auth', 'forms'),
    meta: { title: 'auth.verify.title' },
  },
  {
    path: '/settings/:part?',
    name: 'settings',
    component: page(() => import('@/features/settings/SettingsPage.vue'), 'settings', 'forms'),
    props: true,
    meta: { title: 'common.settings', signedIn: true, parts: true },
  },
  {
    path: '/history',
    name: 'history',
    component: page(() => import('@/features/library/HistoryPage.vue'), 'library', 'forms'),
    meta: { title: 'common.history', signedIn: true },
  },
  {
    path: '/watch-later',
    name: 'watch-later',
    component: page(() => import('@/features/library/WatchLaterPage.vue'), 'library', 'forms'),
    meta: { title: 'common.watchLater', signedIn: true },
  },
  {
    path: '/studio',
    name: 'studio',
    component: page(() => import('@/features/studio/StudioPage.vue'), 'studio', 'forms'),
    meta: { title: 'common.studio', signedIn: true },
  },
  {
    path: '/studio/:stream',
    name: 'studio-stream',
    component: page(() => import('@/features/studio/StreamStudioPage.vue'), 'studio', 'forms'),
    props: true,
    meta: { title: 'common.studio', least: 'streamer' },
  },
  {
    path: '/moderation/:user?',
    name: 'moderation',
    component: page(() => import('@/features/moderation/ModerationPage.vue'), 'moderation', 'forms'),
    props: true,
    meta: { title: 'common.moderation', least: 'moderator' },
  },
  {
    path: '/admin/:part?',
    name: 'admin',
    component: page(() => import('@/features/admin/AdminPage.vue'), 'admin', 'moderation', 'studio', 'forms'),
    props: true,
    meta: { title: 'common.admin', least: 'admin', parts: true },
  },
  {
    path: '/:path(.*)*',
    name: 'notfound',
    component: () => import('@/features/notfound/NotFoundPage.vue'),
    meta: { title: 'notfound.title' },
  },
  {
    // Reached by name alone, see guards.ts: the address is that of the page that was asked for.
    path: '/:path(.*)*',
    name: 'forbidden',
    component: () => import('@/features/notfound/ForbiddenPage.vue'),
    meta: { title: 'notfound.forbidden' },
  },
]

const reloadedKey = 'mediad.reloaded'

export function makeRouter(title: (key: string) => string) {
  const router = createRouter({
    history: createWebHistory(),
    routes,
    // The first page is at its top already; scrolling there would lay it out before its player has started.
    scrollBehavior: (_to, from, saved) => (from === START_LOCATION ? false : (saved ?? { top: 0 })),
  })

  guard(router)
  router.afterEach(async (to, from, failure) => {
    if (failure) return
    if (to.meta.title) document.title = title(to.meta.title)
    if (from.matched.length === 0 || (to.path === from.path && to.name === from.name)) return
    // A screen reader is told of the new page by its heading.
    await nextTick()
    document.querySelector<HTMLElement>('h1')?.focus({ preventScroll: true })
  })

  // After an upgrade of the server the old page's chunks are gone: load the new page, once.
  router.onError((_error, to) => {
    try {
      if (sessionStorage.getItem(reloadedKey) === to.fullPath) return
      sessionStorage.setItem(reloadedKey, to.fullPath)
    } catch {
      return // where nothing can be kept it would load again for ever
    }
    location.assign(safeTarget(to.fullPath))
  })
  router.afterEach(() => {
    try {
      sessionStorage.removeItem(reloadedKey)
    } catch {
      // Nothing is kept.
    }
  })
  return router
}
