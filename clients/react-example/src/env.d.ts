interface ImportMetaEnv {
  readonly VITE_BILLING_URL?: string;
  readonly VITE_BILLING_TOKEN?: string;
}
