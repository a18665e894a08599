//! FLASHBACK TABLE of a session: by the catalog alone where the table can go back so and the statement stands by itself, else by the rows that
//! it is a statement of.

use expr::Datum;

use super::Session;
use super::portal::{CommandTag, Portal};
use super::run::guard;
use super::transaction::Block;
use crate::error::Result;
use crate::execute::ddl::way_back;
use crate::execute::truth::Analysis;
use crate::plan::{Ddl, ObjectChange, WayBack};

impl Session {
    /// Has a table lie over what it was; `None`: its rows are to be written.
    pub(super) async fn go_back(
        &mut self,
        portal: &Portal,
        way: &WayBack,
        values: &[Datum],
    ) -> Result<Option<CommandTag>> {
        // What lies below is made sure of by transactions of their own: none of it could be taken back with the block.
        if self.transaction.block != Block::Idle {
            return Ok(None);
        }
        // A clone keeps what lies below from being forgotten, or erased: whoever may only write rows writes them.
        let catalog = self.transaction.open.as_ref().map(|open| open.catalog.clone());
        if !catalog.is_some_and(|catalog| self.may_maintain(&catalog, &way.table).is_ok_and(|may| may)) {
            return Ok(None);
        }
        let mut values = values.to_vec();
        let mut memory = self.statement_memory();
        let mut cx = self.make_context(&mut values, &mut memory)?;
        let cancel = cx.cancel.clone();
        let found = guard(&cancel, portal.deadline, way_back(&mut cx, way)).await?;
        let Some(at) = found else { return Ok(None) };
        let ddl = Ddl::Object(ObjectChange::FlashBack { table: way.table.clone(), at });
        let (tag, _) = self.run_ddl(portal, &ddl, values, Analysis::default()).await?;
        Ok(Some(tag))
    }
}
