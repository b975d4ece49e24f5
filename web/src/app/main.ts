import { createPinia } from 'pinia'
import { createApp, watch } from 'vue'
import '@/styles/main.css'
import { tokens } from '@/api/client'
import { i18n, startI18n } from '@/i18n'
import { bearer } from '@/lib/bearer'
import App from './App.vue'
import { decide } from './guards'
import { makeRouter } from './router'
import { useSession } from './session'

await startI18n()
const app = createApp(App).use(createPinia()).use(i18n)
const router = makeRouter((key) => `${i18n.global.t(key)} · mediad`)
const session = useSession()
app.provide(bearer, () => tokens.usable())
app.use(router).mount('#app')

// A session that ends, here or in another tab, and a role that is taken away change what the open page may be.
watch(
  () => [session.signedIn, session.user?.role, session.mustChangePassword],
  async () => {
    if (!session.known) return
    await router.isReady()
    const instead = decide(router.currentRoute.value, session)
    if (instead !== true) await router.push(instead)
  },
)
void session.ready()
