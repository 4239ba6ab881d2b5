import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  // The address that CORS_ORIGINS and ALLOWED_REDIRECT_ORIGINS name; never another one.
  server: { host: "localhost", port: 5173, strictPort: true },
});
