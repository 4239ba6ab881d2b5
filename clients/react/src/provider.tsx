"use client";

import type { BillingClient } from "@fiko/billing-client";
import { createContext, type ReactNode, useContext } from "react";

import { type BillingStore, storeOf } from "./store.js";

interface Provided {
  client: BillingClient;
  store: BillingStore;
}

const Context = createContext<Provided | undefined>(undefined);

/**
 * Gives the hooks below it a client. Make one client per signed-in user, and another one when
 * another user signs in: what is known of a user stays with the user's client.
 */
export function BillingProvider({
  client,
  children,
}: {
  client: BillingClient;
  children?: ReactNode;
}) {
  const above = useContext(Context);
  const provided = above?.client === client ? above : { client, store: storeOf(client) };
  return <Context.Provider value={provided}>{children}</Context.Provider>;
}

/** The client and the store of the provider above. */
export function useProvided(): Provided {
  const provided = useContext(Context);
  if (!provided) {
    throw new Error("There is no BillingProvider above this component.");
  }
  return provided;
}
