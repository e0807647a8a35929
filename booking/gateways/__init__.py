"""booking/gateways"""
