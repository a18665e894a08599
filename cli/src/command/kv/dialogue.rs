//! One transaction, line by line.

use std::io::IsTerminal as _;

use super::order::{Order, parse};
use super::service::Service;
use crate::escape::escape;
use crate::failure::Failure;
use crate::output::{errln, out, outln};

/// A transaction, and where its lines come from.
pub(super) struct Dialogue {
    service: Service,
    transaction: u64,
    is_terminal: bool,
}

impl Dialogue {
    pub(super) async fn begin(mut service: Service, read_only: bool) -> Result<Self, Failure> {
        let transaction = service.begin(read_only).await?;
        Ok(Self { service, transaction, is_terminal: std::io::stdin().is_terminal() })
    }

    /// Carries out lines until one ends the transaction, or there is none.
    pub(super) async fn hold(mut self) -> Result<(), Failure> {
        loop {
            let outcome = match self.line().await? {
                None => return self.service.commit(self.transaction).await,
                Some(line) => match parse(&line) {
                    Ok(Order::Commit) => return self.service.commit(self.transaction).await,
                    Ok(Order::Rollback) => return self.service.rollback(self.transaction).await,
                    Ok(order) => self.carry_out(order).await,
                    // Whoever types it types it again.
                    Err(wrong) if self.is_terminal => {
                        errln!("{wrong}");
                        Ok(())
                    }
                    Err(wrong) => Err(Failure::failed(wrong)),
                },
            };
            if let Err(failure) = outcome {
                // The first error is what is told: it may be why there is nothing to roll back.
                let _ = self.service.rollback(self.transaction).await;
                return Err(failure);
            }
        }
    }

    async fn carry_out(&mut self, order: Order) -> Result<(), Failure> {
        match order {
            Order::Get(key) => match self.service.get(self.transaction, key).await? {
                Some(value) => outln!("{}", escape(&value)),
                None => errln!("there is no such key"),
            },
            Order::Set(key, value) => self.service.set(self.transaction, key, value).await?,
            Order::Delete(key) => {
                if !self.service.delete(self.transaction, key).await? {
                    errln!("there was no such key");
                }
            }
            Order::Scan(start, end) => self.service.scan(self.transaction, (start, end), 0, false).await?,
            Order::Nothing | Order::Commit | Order::Rollback => {}
        }
        Ok(())
    }

    /// The next line; None at the end.
    async fn line(&self) -> Result<Option<String>, Failure> {
        if self.is_terminal {
            out!("kv> ");
        }
        let read = env::task::blocking(|| {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map(|count| (count > 0).then_some(line))
        });
        let read = read.await.map_err(Failure::failed)?;
        read.map_err(|error| Failure::failed(format!("cannot read standard input: {error}")))
    }
}
