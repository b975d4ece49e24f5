import { createPinia } from 'pinia'
import { createApp } from 'vue'
import '@/styles/main.css'
import { i18n, startI18n } from '@/i18n'
import App from './App.vue'
import { makeRouter } from './router'

await startI18n()
const router = makeRouter((key) => `${i18n.global.t(key)} · mediad`)
createApp(App).use(createPinia()).use(router).use(i18n).mount('#app')
