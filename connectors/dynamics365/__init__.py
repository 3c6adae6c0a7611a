"""The connector for Microsoft Dynamics 365 Business Central."""
