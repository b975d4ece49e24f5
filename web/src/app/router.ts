import { nextTick } from 'vue'
import { createRouter, createWebHistory, type RouteRecordRaw, START_LOCATION } from 'vue-router'

declare module 'vue-router' {
  interface RouteMeta {
    /** Message key of the document's title; a page with a title of its own sets it itself. */
    title?: string
  }
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
    path: '/:path(.*)*',
    name: 'notfound',
    component: () => import('@/features/notfound/NotFoundPage.vue'),
    meta: { title: 'notfound.title' },
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

  router.afterEach(async (to, from, failure) => {
    if (failure) return
    if (to.meta.title) document.title = title(to.meta.title)
    if (from.matched.length === 0 || to.path === from.path) return
    // A screen reader is told of the new page by its heading.
    await nextTick()
    document.querySelector<HTMLElement>('h1')?.focus({ preventScroll: true })
  })

  // After an upgrade of the server the old page's chunks are gone: load the new page, once.
  router.onError((_error, to) => {
    if (sessionStorage.getItem(reloadedKey) === to.fullPath) return
    sessionStorage.setItem(reloadedKey, to.fullPath)
    location.assign(to.fullPath)
  })
  router.afterEach(() => sessionStorage.removeItem(reloadedKey))
  return router
}
