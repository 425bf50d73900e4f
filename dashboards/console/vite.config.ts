import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// Assets carry their hash in the name and are served as immutable; index.html never is.
export default defineConfig({
  root: import.meta.dirname,
  plugins: [react()],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: ['chrome108', 'safari15.4'],
    chunkSizeWarningLimit: 900,
  },
});
