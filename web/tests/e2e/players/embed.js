// The frame as our share button gives it.
const frame = document.createElement('iframe')
frame.src = new URLSearchParams(location.search).get('src')
frame.width = 640
frame.height = 360
frame.allow = 'autoplay; fullscreen; picture-in-picture'
frame.title = 'live'
document.body.append(frame)
